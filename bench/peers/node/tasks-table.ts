import { boolean, pgSchema, text, timestamp, uuid, varchar } from 'drizzle-orm/pg-core';
import { z } from 'zod';

const at = (name: string) => timestamp(name, { withTimezone: true, mode: 'date' }).notNull().defaultNow();

export const tasks = pgSchema('peer').table('tasks', {
  id: uuid('id').primaryKey().defaultRandom(),
  user_id: text('user_id').notNull(),
  title: varchar('title', { length: 200 }).notNull(),
  description: text('description'),
  is_completed: boolean('is_completed').notNull().default(false),
  created_at: at('created_at'),
  updated_at: at('updated_at'),
});

const title = z.string().trim().min(1).max(200);
const description = z.string().trim().max(2000).nullable().optional();

export const NewTask = z.object({ title, description, is_completed: z.boolean().optional() });
export const TaskChange = z.object({
  title: title.optional(),
  description,
  is_completed: z.boolean().optional(),
});
export const TaskId = z.uuid();

export type NewTask = z.output<typeof NewTask>;
export type TaskChange = z.output<typeof TaskChange>;
