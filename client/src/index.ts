export type * from './api-types.ts';
export { changes } from './changes.ts';
export {
  type BatchOptions,
  type ChangesOptions,
  createClient,
  type ListCalls,
  type TodoClient,
  type WriteOptions,
} from './client.ts';
export { TodoApiError } from './errors.ts';
export { type Arrival, type EventsOptions, events } from './events.ts';
export type { ApiAnswer, ApiRequest, Http, HttpOptions, SendOptions } from './http.ts';
export { uuidv7 } from './ids.ts';
export type { TaskQuery } from './list-query.ts';
export { indexedDbStorage } from './mirror/indexeddb-storage.ts';
export type { Conflict, OnConflict, Status } from './mirror/leader.ts';
export { memoryStorage } from './mirror/memory-storage.ts';
export { type Mirror, type MirrorOptions, mirror } from './mirror/mirror.ts';
export type { Decision } from './mirror/outbox.ts';
export type * from './mirror/storage.ts';
export type { Operation } from './operation.ts';
export { newTask, TASK_FIELDS, writtenFields } from './task.ts';
