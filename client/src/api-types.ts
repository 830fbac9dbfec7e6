// Written by `npm run client-types` from the OpenAPI document of the service.

/** Operations to be executed in order, in one transaction. */
export interface Batch {
  readonly operations: readonly (BatchOperation)[];
  readonly atomic?: boolean;
  readonly if_unchanged_since?: number;
}

/** Creates a task, under an id of its own or of the client. */
export interface BatchCreate {
  readonly op: 'create';
  readonly id?: string;
  readonly if_version?: 0;
  readonly title: string;
  readonly description?: string | null;
  readonly is_completed?: boolean;
  readonly position?: string;
  readonly due_date?: string | null;
  readonly due_time?: string | null;
  readonly due_time_zone?: string | null;
  readonly priority?: 'none' | 'low' | 'medium' | 'high';
  readonly tags?: readonly (string)[];
}

/** Deletes the task; a success also if it is gone. */
export interface BatchDelete {
  readonly op: 'delete';
  readonly id: string;
  readonly if_version?: number;
}

/** One operation of a batch. */
export type BatchOperation = BatchCreate | BatchPut | BatchUpdate | BatchToggle | BatchDelete | BatchRestore;

/** Replaces the task, or creates it; with `if_version` 0 it must not exist. */
export interface BatchPut {
  readonly op: 'put';
  readonly id: string;
  readonly if_version?: number;
  readonly title: string;
  readonly description?: string | null;
  readonly is_completed?: boolean;
  readonly position?: string;
  readonly due_date?: string | null;
  readonly due_time?: string | null;
  readonly due_time_zone?: string | null;
  readonly priority?: 'none' | 'low' | 'medium' | 'high';
  readonly tags?: readonly (string)[];
}

/** Restores the deleted task. */
export interface BatchRestore {
  readonly op: 'restore';
  readonly id: string;
  readonly if_version?: number;
}

/** What became of one operation: the `task` as it is now, the `id` of a deleted one, or an error. */
export interface BatchResult {
  readonly status: number;
  readonly id?: string;
  readonly task?: Task;
  readonly current?: Task;
  readonly error?: string;
  readonly code?: ErrorCode;
  readonly details?: readonly (FieldError)[];
}

/** What became of the operations of a batch. */
export interface BatchResults {
  readonly results: readonly (BatchResult)[];
  readonly version: number;
}

/** Inverts `is_completed` of the task. */
export interface BatchToggle {
  readonly op: 'toggle';
  readonly id: string;
  readonly if_version?: number;
}

/** Changes the given fields of the task, at least one. */
export interface BatchUpdate {
  readonly op: 'update';
  readonly id: string;
  readonly if_version?: number;
  readonly title?: string;
  readonly description?: string | null;
  readonly is_completed?: boolean;
  readonly position?: string;
  readonly due_date?: string | null;
  readonly due_time?: string | null;
  readonly due_time_zone?: string | null;
  readonly priority?: 'none' | 'low' | 'medium' | 'high';
  readonly tags?: readonly (string)[];
  readonly add_tags?: readonly (string)[];
  readonly remove_tags?: readonly (string)[];
}

/** The newest change of one task. */
export interface Change {
  readonly type: 'task';
  readonly id: string;
  readonly version: number;
  readonly deleted: boolean;
  readonly task: Task | null;
}

/** Changes by version, each task once, at its newest state. */
export interface Changes {
  readonly changes: readonly (Change)[];
  readonly cursor: string;
  readonly version: number;
  readonly epoch: string;
  readonly has_more: boolean;
}

/** The task was deleted. */
export interface DeletedTask {
  readonly message: 'Task deleted successfully';
  readonly id: string;
}

/** Body of every error response. */
export interface ErrorBody {
  readonly error: string;
  readonly code: ErrorCode;
  readonly details?: readonly (FieldError)[];
  readonly current?: object;
  readonly index?: number;
}

/** Machine-readable error code. */
export type ErrorCode = 'UNAUTHORIZED' | 'INVALID_TOKEN' | 'TOKEN_EXPIRED' | 'VALIDATION_ERROR' | 'NOT_FOUND' | 'CONFLICT' | 'LIMIT_REACHED' | 'PRECONDITION_FAILED' | 'IDEMPOTENCY_MISMATCH' | 'CURSOR_EXPIRED' | 'RATE_LIMITED' | 'DATABASE_ERROR' | 'INTERNAL_ERROR' | 'SERVICE_UNAVAILABLE' | 'INVALID_REQUEST' | 'METHOD_NOT_ALLOWED' | 'PAYLOAD_TOO_LARGE' | 'HEADERS_TOO_LARGE';

/** An invalid field of a request. */
export interface FieldError {
  readonly field: string;
  readonly message: string;
}

export interface Healthy {
  readonly status: 'healthy';
}

export interface Ready {
  readonly status: 'ready';
}

/** One todo item, owned by one user. */
export interface Task {
  readonly id: string;
  readonly user_id: string;
  readonly title: string;
  readonly description: string | null;
  readonly is_completed: boolean;
  readonly position: string;
  readonly due_date: string | null;
  readonly due_time: string | null;
  readonly due_time_zone: string | null;
  readonly priority: 'none' | 'low' | 'medium' | 'high';
  readonly tags: readonly (string)[];
  readonly completed_at: string | null;
  readonly created_at: string;
  readonly updated_at: string;
  readonly deleted_at: string | null;
  readonly version: number;
}

/** A task to create. Other fields are ignored. */
export interface TaskCreate {
  readonly title: string;
  readonly description?: string | null;
  readonly is_completed?: boolean;
  readonly position?: string;
  readonly due_date?: string | null;
  readonly due_time?: string | null;
  readonly due_time_zone?: string | null;
  readonly priority?: 'none' | 'low' | 'medium' | 'high';
  readonly tags?: readonly (string)[];
}

/** The user's newest tasks, newest first. */
export interface TaskList {
  readonly tasks: readonly (Task)[];
}

/** The fields to change, at least one of `title`, `description`, `is_completed`, `position`, `due_date`, `due_time`, `due_time_zone`, `priority`, `tags`, `add_tags`, `remove_tags`. Fields not given keep their values; others are ignored. */
export interface TaskUpdate {
  readonly title?: string;
  readonly description?: string | null;
  readonly is_completed?: boolean;
  readonly position?: string;
  readonly due_date?: string | null;
  readonly due_time?: string | null;
  readonly due_time_zone?: string | null;
  readonly priority?: 'none' | 'low' | 'medium' | 'high';
  readonly tags?: readonly (string)[];
  readonly add_tags?: readonly (string)[];
  readonly remove_tags?: readonly (string)[];
}
