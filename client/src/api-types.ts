// Written by `npm run client-types` from the OpenAPI document of the service.

export interface FieldError {
  readonly field: string;
  readonly message: string;
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

export interface TaskCreate {
  readonly title: string;
  readonly description?: string | null;
  readonly is_completed?: boolean;
}

export interface TaskUpdate {
  readonly title?: string;
  readonly description?: string | null;
  readonly is_completed?: boolean;
}

export interface TaskList {
  readonly tasks: readonly Task[];
}

export interface DeletedTask {
  readonly message: 'Task deleted successfully';
  readonly id: string;
}

export interface Change {
  readonly type: 'task';
  readonly id: string;
  readonly version: number;
  readonly deleted: boolean;
  readonly task: Task | null;
}

export interface Changes {
  readonly changes: readonly Change[];
  readonly cursor: string;
  readonly version: number;
  readonly epoch: string;
  readonly has_more: boolean;
}
