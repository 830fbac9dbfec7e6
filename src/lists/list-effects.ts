import { v7 as uuidv7 } from 'uuid';
import type { Principal } from '../core/user.ts';
import type { Expected } from '../tasks/parts-sql.ts';
import type { Effect } from '../writes/effect.ts';
import type { ListCreate, ListId, ListUpdate } from './list.ts';
import { deleteList, insertList, type ListDeletion, putList, updateList } from './list-sql.ts';

/** What can be done to the lists of a user, alone or as one of several operations; the outcomes are in list-sql.ts. */
export interface ListEffects {
  /** Under an id of the service's, unless there is one of the client's. */
  create(user: Principal, id: ListId | null, list: ListCreate): Effect;
  put(user: Principal, id: ListId, list: ListCreate, expected: Expected): Effect;
  update(user: Principal, id: ListId, changes: ListUpdate, expected: Expected): Effect;
  delete(user: Principal, id: ListId, deletion: Omit<ListDeletion, 'keepsContent'>, expected: Expected): Effect;
}

/** @param deletedTasksDays for how long the content of a deleted task is kept; 0 is not at all. */
export const listEffects = (deletedTasksDays: number): ListEffects => ({
  create: ({ userId }, id, list) => insertList(userId, id ?? uuidv7(), list),
  put: ({ userId }, id, list, expected) => putList(userId, id, list, expected),
  update: ({ userId }, id, changes, expected) => updateList(userId, id, changes, expected),
  delete: ({ userId }, id, deletion, expected) =>
    deleteList(userId, id, { ...deletion, keepsContent: deletedTasksDays > 0 }, expected),
});
