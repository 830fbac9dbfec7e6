// Loaded into a process and, by NODE_OPTIONS, into its worker threads: appends to the file RECORD_LOG every change and
// flush of the files below the folder RECORD_ROOT, in order, and a mark before each answer of the embedded database.
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { dirname, join, relative, resolve, sep } from 'node:path';
import { BroadcastChannel, isMainThread, parentPort, threadId, Worker } from 'node:worker_threads';

const { RECORD_ROOT = '', RECORD_LOG = '' } = process.env;
const original = { ...fs };
const originalPromises = { ...fs.promises };
const log = original.openSync(RECORD_LOG, 'a');

const CHUNK = 262_144;
const ZEROS = Buffer.alloc(CHUNK);
/** Bytes of an entry's length, which comes first; its data follows. */
const HEAD = 4;

/** Calls of a function that is recorded within another are not. */
let depth = 0;
let recording = true;

function append(entry, data = null) {
  const text = Buffer.from(JSON.stringify(entry));
  const head = Buffer.alloc(HEAD);
  head.writeUInt32LE(text.length);
  original.writeSync(log, Buffer.concat(data === null ? [head, text] : [head, text, data]));
}

function appendWrite(ino, position, data) {
  for (let from = 0; from < data.length; from += CHUNK) {
    const chunk = data.subarray(from, from + CHUNK);
    const zeros = chunk.equals(ZEROS.subarray(0, chunk.length));
    const entry = { op: 'write', ino, position: position + from, length: chunk.length, zeros };
    append(entry, zeros ? null : chunk);
  }
}

/** The path below the root; null for others. */
function below(path) {
  if (typeof path !== 'string') return null;
  const found = relative(RECORD_ROOT, resolve(path));
  return found === '..' || found.startsWith(`..${sep}`) ? null : found;
}

/** What the main thread has recorded as created; whatever else it flushes or renames is recorded as created then. */
const known = new Set(['']);

function discover(path) {
  if (!isMainThread || known.has(path)) return;
  discover(dirname(path) === '.' ? '' : dirname(path));
  known.add(path);
  const found = original.statSync(join(RECORD_ROOT, path));
  if (found.isDirectory()) {
    append({ op: 'mkdir', path });
    return;
  }
  append({ op: 'create', path, ino: found.ino });
  appendWrite(found.ino, 0, original.readFileSync(join(RECORD_ROOT, path)));
}

/** Locks are not recorded: a state is opened while the process that held them lives. */
const isRecorded = (entry) => entry.isDirectory() || (entry.isFile() && !entry.name.startsWith('lock.'));

function discoverEntries(path) {
  const entries = original.readdirSync(join(RECORD_ROOT, path), { withFileTypes: true }).filter(isRecorded);
  for (const { name } of entries) discover(join(path, name));
  return entries;
}

function discoverTree(path) {
  discover(path);
  for (const entry of discoverEntries(path)) if (entry.isDirectory()) discoverTree(join(path, entry.name));
}

/** By descriptor: the file or directory that it was opened for. */
const opened = new Map();

function appendSync(descriptor) {
  const file = opened.get(descriptor);
  if (file === undefined) return;
  discover(file.path);
  if (file.isDirectory && isMainThread) discoverEntries(file.path);
  append(file.isDirectory ? { op: 'sync-directory', path: file.path } : { op: 'sync', ino: file.ino });
}

function rememberOpened(descriptor, path) {
  const found = original.fstatSync(descriptor);
  opened.set(descriptor, { path, ino: found.ino, isDirectory: found.isDirectory() });
}

/** Replaces `fs[name]`; `describe` is called after it with its result and arguments, `before` before with these. */
function record(name, describe, before = () => undefined) {
  fs[name] = (...args) => {
    if (!recording || depth > 0) return original[name](...args);
    depth += 1;
    try {
      const noted = before(...args);
      const result = original[name](...args);
      describe(result, args, noted);
      return result;
    } finally {
      depth -= 1;
    }
  };
}

const existed = (path) => below(path) !== null && original.existsSync(path);

function appendCreated(path, before) {
  const { ino } = original.statSync(path);
  append(before ? { op: 'truncate', ino, size: 0 } : { op: 'create', path: below(path), ino });
  return ino;
}

record(
  'openSync',
  (descriptor, [path, flags], before) => {
    if (below(path) === null) return;
    if (!before || (typeof flags === 'number' && flags & fs.constants.O_TRUNC)) appendCreated(path, before);
    rememberOpened(descriptor, below(path));
  },
  existed,
);
record('closeSync', (_result, [descriptor]) => opened.delete(descriptor));
record('writeSync', (written, [descriptor, buffer, offset, _length, position]) => {
  const file = opened.get(descriptor);
  if (file === undefined) return;
  appendWrite(file.ino, position, Buffer.from(buffer.buffer, buffer.byteOffset + offset, written));
});
record(
  'writeFileSync',
  (_result, [path, data], before) => {
    if (below(path) !== null) appendWrite(appendCreated(path, before), 0, Buffer.from(data));
  },
  existed,
);
record('ftruncateSync', (_result, [descriptor, size = 0]) => {
  const file = opened.get(descriptor);
  if (file !== undefined) append({ op: 'truncate', ino: file.ino, size });
});
record('truncateSync', (_result, [path, size = 0]) => {
  if (below(path) !== null) append({ op: 'truncate', ino: original.statSync(path).ino, size });
});
record('renameSync', (_result, [from, to]) => {
  if (below(from) !== null) append({ op: 'rename', from: below(from), to: below(to) });
});
record('mkdirSync', (_result, [path]) => {
  if (below(path) !== null) append({ op: 'mkdir', path: below(path) });
});
for (const name of ['unlinkSync', 'rmdirSync']) {
  record(name, (_result, [path]) => {
    if (below(path) !== null) append({ op: 'remove', path: below(path) });
  });
}
record('fsyncSync', (_result, [descriptor]) => appendSync(descriptor));

fs.promises.rename = async (from, to) => {
  const source = recording ? below(from) : null;
  if (source !== null) discoverTree(source);
  await originalPromises.rename(from, to);
  if (source === null) return;
  for (const path of known)
    if (path === source || path.startsWith(source + sep)) known.add(below(to) + path.slice(source.length));
  append({ op: 'rename', from: source, to: below(to) });
};
fs.promises.open = async (path, ...rest) => {
  const handle = await originalPromises.open(path, ...rest);
  if (!recording || below(path) === null) return handle;
  rememberOpened(handle.fd, below(path));
  const { fd } = handle;
  const sync = handle.sync.bind(handle);
  const close = handle.close.bind(handle);
  handle.sync = async () => {
    await sync();
    appendSync(fd);
  };
  handle.close = () => {
    opened.delete(fd);
    return close();
  };
  return handle;
};
syncBuiltinESMExports();

let received = '';

if (isMainThread) {
  const { emit } = Worker.prototype;
  Worker.prototype.emit = function (name, ...args) {
    if (name === 'message' && typeof args[0]?.answer === 'string') received = args[0].answer;
    return Reflect.apply(emit, this, [name, ...args]);
  };
} else if (parentPort !== null) {
  const post = parentPort.postMessage.bind(parentPort);
  let answers = 0;
  parentPort.postMessage = (message) => {
    if (message.kind !== 'answer') return post(message);
    answers += 1;
    const answer = `${threadId}.${answers}`;
    append({ op: 'mark', name: answer });
    return post({ ...message, answer });
  };
  const channel = new BroadcastChannel('file-recorder');
  channel.onmessage = () => process.exit(1);
  channel.unref();
}

/** The mark of the last answer that the main thread has received. */
export const lastAnswer = () => received;

export const mark = (name) => append({ op: 'mark', name });

/** Ends every recorded worker thread at once. */
export function exitThreads() {
  const channel = new BroadcastChannel('file-recorder');
  channel.postMessage('exit');
  channel.close();
}

/** Nothing is recorded from now on. */
export function stop() {
  recording = false;
}
