// Written by `npm run client-types` from the OpenAPI document of the service.

/** Operations to be executed in order, in one transaction. */
export interface Batch {
  readonly operations: readonly ({ readonly op: 'create' | 'put' | 'update' | 'toggle' | 'delete' | 'restore'; })[];
  readonly atomic?: boolean;
  readonly if_unchanged_since?: number;
}

/** What became of one operation. */
export interface BatchResult {
  readonly status: number;
  readonly id?: string;
  readonly task?: Task;
  readonly current?: Task;
  readonly error?: string;
  readonly code?: string;
  readonly details?: readonly ({ readonly field: string; readonly message: string; })[];
}

/** What became of the operations of a batch. */
export interface BatchResults {
  readonly results: readonly (BatchResult)[];
  readonly version: number;
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
  readonly code: 'UNAUTHORIZED' | 'INVALID_TOKEN' | 'TOKEN_EXPIRED' | 'VALIDATION_ERROR' | 'NOT_FOUND' | 'CONFLICT' | 'LIMIT_REACHED' | 'PRECONDITION_FAILED' | 'IDEMPOTENCY_MISMATCH' | 'CURSOR_EXPIRED' | 'RATE_LIMITED' | 'DATABASE_ERROR' | 'INTERNAL_ERROR' | 'SERVICE_UNAVAILABLE' | 'INVALID_REQUEST' | 'METHOD_NOT_ALLOWED' | 'PAYLOAD_TOO_LARGE' | 'HEADERS_TOO_LARGE';
  readonly details?: readonly (FieldError)[];
  readonly current?: object;
  readonly index?: number;
}

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
}

/** The user's newest tasks, newest first. */
export interface TaskList {
  readonly tasks: readonly (Task)[];
}

/** The fields to change, at least one of `title`, `description`, `is_completed`. Fields not given keep their values; others are ignored. */
export interface TaskUpdate {
  readonly title?: string;
  readonly description?: string | null;
  readonly is_completed?: boolean;
}
