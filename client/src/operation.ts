import type { TaskCreate, TaskUpdate } from './api-types.ts';

/** One operation of a batch. `if_version` is the version that the task must have; 0: it must not exist. */
export type Operation =
  | (TaskCreate & { readonly op: 'create'; readonly id?: string; readonly if_version?: number })
  | (TaskCreate & {
      readonly op: 'put';
      readonly id: string;
      readonly if_version?: number;
      readonly completed_on?: string;
    })
  | (TaskUpdate & { readonly op: 'update'; readonly id: string; readonly if_version?: number })
  | { readonly op: 'toggle'; readonly id: string; readonly if_version?: number; readonly completed_on?: string }
  | { readonly op: 'delete' | 'restore'; readonly id: string; readonly if_version?: number };
