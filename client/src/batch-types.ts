import type { Task, TaskCreate, TaskUpdate } from './api-types.ts';
import type { ErrorDetail } from './errors.ts';

/** One operation of a batch. `if_version` is the version that the task must have; 0: it must not exist. */
export type Operation =
  | (TaskCreate & { readonly op: 'create'; readonly id?: string; readonly if_version?: number })
  | (TaskCreate & { readonly op: 'put'; readonly id: string; readonly if_version?: number })
  | (TaskUpdate & { readonly op: 'update'; readonly id: string; readonly if_version?: number })
  | { readonly op: 'toggle' | 'delete' | 'restore'; readonly id: string; readonly if_version?: number };

/** What the operation's own route would have answered. */
export interface BatchResult {
  readonly status: number;
  readonly task?: Task;
  readonly current?: Task;
  readonly error?: string;
  readonly code?: string;
  readonly details?: readonly ErrorDetail[];
}

export interface BatchAnswer {
  /** In the order of the operations. */
  readonly results: readonly BatchResult[];
  /** The user's counter after the batch. */
  readonly version: number;
}
