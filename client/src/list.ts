import type { List, ListCreate, ListUpdate, Task } from './api-types.ts';
import { LAST } from './task.ts';

/** @returns a list as it is until the service has seen it: of version 0. @param at the time, as the service writes it. */
export const newList = (id: string, user: string, at: string, fields: ListCreate): List => ({
  id,
  user_id: user,
  color: null,
  position: LAST,
  is_archived: false,
  version: 0,
  created_at: at,
  updated_at: at,
  ...fields,
});

export const isList = (item: Task | List): item is List => 'name' in item;

/** @returns the fields as the service stores them. */
export const storedListFields = ({ name, color, ...rest }: ListUpdate): ListUpdate => ({
  ...rest,
  ...(name === undefined ? {} : { name: name.trim() }),
  ...(color === undefined ? {} : { color: color?.toLowerCase() ?? null }),
});
