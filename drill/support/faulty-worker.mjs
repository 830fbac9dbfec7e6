// Loaded into the service and its worker threads with --import: SIGUSR2 makes the embedded database's thread hang,
// SIGWINCH makes it exit. Each thread writes a line to standard error when it starts.
import { existsSync, rmSync, writeSync } from 'node:fs';
import { BroadcastChannel, isMainThread } from 'node:worker_threads';

/** While this file exists in the working directory, the next thread hangs as it starts. */
const HANG_AT_START = 'hang-at-start';

const channel = new BroadcastChannel('drill');
const hang = () => {
  for (;;);
};

if (isMainThread) {
  process.on('SIGUSR2', () => channel.postMessage('hang'));
  process.on('SIGWINCH', () => channel.postMessage('exit'));
} else {
  writeSync(2, 'thread started\n');
  channel.onmessage = ({ data }) => (data === 'hang' ? hang() : process.exit(1));
  if (existsSync(HANG_AT_START)) {
    rmSync(HANG_AT_START);
    hang();
  }
}
channel.unref();
