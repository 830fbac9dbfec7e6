import type { ListCreate, ListUpdate, TaskCreate, TaskUpdate } from './api-types.ts';

interface OfTask {
  readonly type?: 'task';
  readonly if_version?: number;
}

interface OfList {
  readonly type: 'list';
  readonly if_version?: number;
}

/** One operation of a batch. `if_version` is the version that the task or list must have; 0: it must not exist. */
export type Operation =
  | (OfTask & TaskCreate & { readonly op: 'create'; readonly id?: string })
  | (OfTask & TaskCreate & { readonly op: 'put'; readonly id: string; readonly completed_on?: string })
  | (OfTask & TaskUpdate & { readonly op: 'update'; readonly id: string })
  | (OfTask & { readonly op: 'toggle'; readonly id: string; readonly completed_on?: string })
  | (OfTask & { readonly op: 'delete' | 'restore'; readonly id: string })
  | (OfList & ListCreate & { readonly op: 'create'; readonly id?: string })
  | (OfList & ListCreate & { readonly op: 'put'; readonly id: string })
  | (OfList & ListUpdate & { readonly op: 'update'; readonly id: string })
  | (OfList & { readonly op: 'delete'; readonly id: string; readonly tasks?: 'inbox' | 'delete' });
