import ICAL from 'ical.js';
import { tzlib_get_ical_block as blockOfZone } from 'timezones-ical-library';
import { VERSION } from '../core/version.ts';
import type { FormatWriter, Priority, WrittenTask } from './record.ts';

/** RFC 5545, 3.8.1.9. */
const PRIORITIES: Readonly<Record<Priority, number | null>> = { high: 1, medium: 5, low: 9, none: null };

/** Without tab and LF. */
const CONTROLS = /(?![\t\n])\p{Cc}/gu;

type Parameters = Readonly<Record<string, string>>;
/** A property in jCal (RFC 7265). */
type Property = readonly unknown[];

const property = (name: string, type: string, value: unknown, parameters: Parameters = {}): readonly Property[] =>
  value === null ? [] : [[name, parameters, type, value]];

/** Line breaks are LF, and other control characters have no place in a text (RFC 5545, 3.3.11). */
const plain = (value: string) => value.replace(/\r\n?/g, '\n').replace(CONTROLS, '');

const text = (name: string, value: string | null) => property(name, 'text', value === null ? null : plain(value));
const moment = (name: string, value: string | null) =>
  property(name, 'date-time', value === null ? null : `${value.slice(0, 19)}Z`);

function dueOf({ due_date: date, due_time: time, due_time_zone: zone }: WrittenTask): readonly Property[] {
  if (date === null || time === null) return property('due', 'date', date);
  if (zone === 'UTC') return property('due', 'date-time', `${date}T${time}:00Z`);
  return property('due', 'date-time', `${date}T${time}:00`, zone === null ? {} : { tzid: zone });
}

function toComponent(task: WrittenTask): string {
  const { description, completed_at: completedAt, recurrence, parent_id: parent, is_completed: isCompleted } = task;
  const properties = [
    ...text('uid', task.id),
    ...moment('dtstamp', task.updated_at),
    ...moment('created', task.created_at),
    ...moment('last-modified', task.updated_at),
    ...text('summary', task.title),
    ...text('description', description),
    ...text('status', isCompleted ? 'COMPLETED' : 'NEEDS-ACTION'),
    ...moment('completed', completedAt),
    ...property('percent-complete', 'integer', isCompleted ? 100 : null),
    ...property('priority', 'integer', PRIORITIES[task.priority]),
    ...(task.tags.length === 0 ? [] : [['categories', {}, 'text', ...task.tags.map(plain)]]),
    ...dueOf(task),
    ...property('rrule', 'recur', recurrence === null ? null : ICAL.Recur.fromString(recurrence).toJSON()),
    ...property('related-to', 'text', parent, { reltype: 'PARENT' }),
    ...text('x-todo-api-list', task.list),
    ...text('x-todo-api-position', task.position),
    ...text('x-todo-api-recurrence-from', task.recurrence_from === 'due' ? null : task.recurrence_from),
  ];
  return ICAL.stringify(['vtodo', properties, []]);
}

/** Writes one iCalendar object (RFC 5545) with a VTODO for each task, and a VTIMEZONE for each zone that one names. */
export function iCalendarWriter(): FormatWriter {
  const zones = new Set<string>();
  const newZone = ({ due_time: time, due_time_zone: zone }: WrittenTask): string => {
    if (time === null || zone === null || zone === 'UTC' || zones.has(zone)) return '';
    zones.add(zone);
    const [block = ''] = [blockOfZone(zone)].flat();
    return block === '' ? '' : `${block}\r\n`;
  };
  const begin = ['BEGIN:VCALENDAR', 'VERSION:2.0', `PRODID:-//todo-api//todo-api ${VERSION}//EN`];
  return {
    begin: () => `${begin.join('\r\n')}\r\n`,
    write: (tasks) => tasks.map((task) => newZone(task) + toComponent(task)).join(''),
    end: () => 'END:VCALENDAR\r\n',
  };
}
