/** The fields of a task that users write, in the order of the contract. */
export const FIELDS = [
  'title',
  'description',
  'is_completed',
  'list_id',
  'parent_id',
  'position',
  'due_date',
  'due_time',
  'due_time_zone',
  'priority',
  'tags',
  'recurrence',
  'recurrence_from',
] as const;

/** Those that an update may have besides. */
export const CHANGES = ['add_tags', 'remove_tags', 'before', 'after', 'completed_on'] as const;
