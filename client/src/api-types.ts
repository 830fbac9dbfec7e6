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
  readonly type?: 'task';
  readonly id?: string;
  readonly if_version?: 0;
  readonly title: string;
  readonly description?: string | null;
  readonly is_completed?: boolean;
  readonly list_id?: string | null;
  readonly parent_id?: string | null;
  readonly position?: string;
  readonly due_date?: string | null;
  readonly due_time?: string | null;
  readonly due_time_zone?: string | null;
  readonly priority?: 'none' | 'low' | 'medium' | 'high';
  readonly tags?: readonly (string)[];
  readonly recurrence?: string | null;
  readonly recurrence_from?: 'due' | 'completed';
  readonly before?: string;
  readonly after?: string;
}

/** Creates a list, under an id of its own or of the client. */
export interface BatchCreateList {
  readonly op: 'create';
  readonly type: 'list';
  readonly id?: string;
  readonly if_version?: 0;
  readonly name: string;
  readonly color?: string | null;
  readonly position?: string;
  readonly is_archived?: boolean;
}

/** Deletes the task; a success also if it is gone. */
export interface BatchDelete {
  readonly op: 'delete';
  readonly type?: 'task';
  readonly id: string;
  readonly if_version?: number;
}

/** Deletes the list; a success also if it is gone. */
export interface BatchDeleteList {
  readonly op: 'delete';
  readonly type: 'list';
  readonly id: string;
  readonly if_version?: number;
  readonly tasks?: 'inbox' | 'delete';
}

/** One operation of a batch. */
export type BatchOperation = BatchCreate | BatchPut | BatchUpdate | BatchToggle | BatchDelete | BatchRestore | BatchCreateList | BatchPutList | BatchUpdateList | BatchDeleteList;

/** Replaces the task, or creates it; with `if_version` 0 it must not exist. */
export interface BatchPut {
  readonly op: 'put';
  readonly type?: 'task';
  readonly id: string;
  readonly if_version?: number;
  readonly title: string;
  readonly description?: string | null;
  readonly is_completed?: boolean;
  readonly list_id?: string | null;
  readonly parent_id?: string | null;
  readonly position?: string;
  readonly due_date?: string | null;
  readonly due_time?: string | null;
  readonly due_time_zone?: string | null;
  readonly priority?: 'none' | 'low' | 'medium' | 'high';
  readonly tags?: readonly (string)[];
  readonly recurrence?: string | null;
  readonly recurrence_from?: 'due' | 'completed';
  readonly before?: string;
  readonly after?: string;
  readonly completed_on?: string;
}

/** Replaces the list, or creates it; with `if_version` 0 it must not exist. */
export interface BatchPutList {
  readonly op: 'put';
  readonly type: 'list';
  readonly id: string;
  readonly if_version?: number;
  readonly name: string;
  readonly color?: string | null;
  readonly position?: string;
  readonly is_archived?: boolean;
}

/** Restores the deleted task. */
export interface BatchRestore {
  readonly op: 'restore';
  readonly type?: 'task';
  readonly id: string;
  readonly if_version?: number;
}

/** What became of one operation: the `task` or `list` as it is now, the `id` of a deleted one, or an error. */
export interface BatchResult {
  readonly status: number;
  readonly id?: string;
  readonly task?: Task;
  readonly list?: List;
  readonly current?: Task | List;
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
  readonly type?: 'task';
  readonly id: string;
  readonly if_version?: number;
  readonly completed_on?: string;
}

/** Changes the given fields of the task, at least one. */
export interface BatchUpdate {
  readonly op: 'update';
  readonly type?: 'task';
  readonly id: string;
  readonly if_version?: number;
  readonly title?: string;
  readonly description?: string | null;
  readonly is_completed?: boolean;
  readonly list_id?: string | null;
  readonly parent_id?: string | null;
  readonly position?: string;
  readonly due_date?: string | null;
  readonly due_time?: string | null;
  readonly due_time_zone?: string | null;
  readonly priority?: 'none' | 'low' | 'medium' | 'high';
  readonly tags?: readonly (string)[];
  readonly recurrence?: string | null;
  readonly recurrence_from?: 'due' | 'completed';
  readonly add_tags?: readonly (string)[];
  readonly remove_tags?: readonly (string)[];
  readonly before?: string;
  readonly after?: string;
  readonly completed_on?: string;
}

/** Changes the given fields of the list, at least one. */
export interface BatchUpdateList {
  readonly op: 'update';
  readonly type: 'list';
  readonly id: string;
  readonly if_version?: number;
  readonly name?: string;
  readonly color?: string | null;
  readonly position?: string;
  readonly is_archived?: boolean;
}

/** The newest change of one task or list. */
export interface Change {
  readonly type: 'task' | 'list';
  readonly id: string;
  readonly version: number;
  readonly deleted: boolean;
  readonly task?: Task | null;
  readonly list?: List | null;
}

/** Changes by version, each task or list once, at its newest state. */
export interface Changes {
  readonly changes: readonly (Change)[];
  readonly cursor: string;
  readonly version: number;
  readonly epoch: string;
  readonly has_more: boolean;
}

/** The list was deleted. */
export interface DeletedList {
  readonly message: 'List deleted successfully';
  readonly id: string;
}

/** The task was deleted. */
export interface DeletedTask {
  readonly message: 'Task deleted successfully';
  readonly id: string;
}

/** How much was erased. */
export interface Erased {
  readonly tasks: number;
  readonly lists: number;
  readonly replies: number;
}

/** Says whose data is to be erased. */
export interface Erasure {
  readonly confirm: string;
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

/** What became of the records of a file, or would. */
export interface ImportReport {
  readonly created: number;
  readonly restored: number;
  readonly unchanged: number;
  readonly refused_count: number;
  readonly refused: readonly (RefusedRecord)[];
}

/** A list of tasks, owned by one user. */
export interface List {
  readonly id: string;
  readonly user_id: string;
  readonly name: string;
  readonly color: string | null;
  readonly position: string;
  readonly is_archived: boolean;
  readonly version: number;
  readonly created_at: string;
  readonly updated_at: string;
}

/** A list to create; without a `position` it is the last. Other fields are ignored. */
export interface ListCreate {
  readonly name: string;
  readonly color?: string | null;
  readonly position?: string;
  readonly is_archived?: boolean;
}

/** The fields to change, at least one of `name`, `color`, `position`, `is_archived`. Fields not given keep their values; others are ignored. */
export interface ListUpdate {
  readonly name?: string;
  readonly color?: string | null;
  readonly position?: string;
  readonly is_archived?: boolean;
}

/** The user's lists, by position. */
export interface Lists {
  readonly lists: readonly (List)[];
}

export interface Ready {
  readonly status: 'ready';
}

/** A record of a file that was refused. */
export interface RefusedRecord {
  readonly line: number;
  readonly message: string;
}

/** One todo item, owned by one user. */
export interface Task {
  readonly id: string;
  readonly user_id: string;
  readonly title: string;
  readonly description: string | null;
  readonly is_completed: boolean;
  readonly list_id: string | null;
  readonly parent_id: string | null;
  readonly position: string;
  readonly due_date: string | null;
  readonly due_time: string | null;
  readonly due_time_zone: string | null;
  readonly priority: 'none' | 'low' | 'medium' | 'high';
  readonly tags: readonly (string)[];
  readonly recurrence: string | null;
  readonly recurrence_from: 'due' | 'completed';
  readonly completed_at: string | null;
  readonly series_id: string | null;
  readonly created_at: string;
  readonly updated_at: string;
  readonly deleted_at: string | null;
  readonly version: number;
}

/** How many tasks there are. */
export interface TaskCounts {
  readonly open: number;
  readonly completed: number;
  readonly overdue: number;
  readonly today: number;
  readonly lists: { readonly [name: string]: number };
  readonly tags: { readonly [name: string]: number };
}

/** A task to create. Other fields are ignored. */
export interface TaskCreate {
  readonly title: string;
  readonly description?: string | null;
  readonly is_completed?: boolean;
  readonly list_id?: string | null;
  readonly parent_id?: string | null;
  readonly position?: string;
  readonly due_date?: string | null;
  readonly due_time?: string | null;
  readonly due_time_zone?: string | null;
  readonly priority?: 'none' | 'low' | 'medium' | 'high';
  readonly tags?: readonly (string)[];
  readonly recurrence?: string | null;
  readonly recurrence_from?: 'due' | 'completed';
  readonly before?: string;
  readonly after?: string;
}

/** The user's tasks, newest first by default. */
export interface TaskList {
  readonly tasks: readonly (Task)[];
  readonly next_cursor?: string;
}

/** May be left out. */
export interface TaskToggle {
  readonly completed_on?: string;
}

/** The fields to change, at least one of `title`, `description`, `is_completed`, `list_id`, `parent_id`, `position`, `due_date`, `due_time`, `due_time_zone`, `priority`, `tags`, `recurrence`, `recurrence_from`, `add_tags`, `remove_tags`, `before`, `after`, `completed_on`. Fields not given keep their values; others are ignored. */
export interface TaskUpdate {
  readonly title?: string;
  readonly description?: string | null;
  readonly is_completed?: boolean;
  readonly list_id?: string | null;
  readonly parent_id?: string | null;
  readonly position?: string;
  readonly due_date?: string | null;
  readonly due_time?: string | null;
  readonly due_time_zone?: string | null;
  readonly priority?: 'none' | 'low' | 'medium' | 'high';
  readonly tags?: readonly (string)[];
  readonly recurrence?: string | null;
  readonly recurrence_from?: 'due' | 'completed';
  readonly add_tags?: readonly (string)[];
  readonly remove_tags?: readonly (string)[];
  readonly before?: string;
  readonly after?: string;
  readonly completed_on?: string;
}
