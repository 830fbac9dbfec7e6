// Loaded into the service and its threads with --import: lets signals make the thread of the embedded database fall ill.
import { existsSync, rmSync } from 'node:fs';
import { BroadcastChannel, isMainThread } from 'node:worker_threads';

const HANG_AT_START = 'hang-at-start';

const channel = new BroadcastChannel('drill');
const hang = () => {
  for (;;);
};

if (isMainThread) {
  process.on('SIGUSR2', () => channel.postMessage('hang'));
  process.on('SIGWINCH', () => channel.postMessage('die'));
} else {
  channel.onmessage = ({ data }) => (data === 'hang' ? hang() : process.exit(1));
  if (existsSync(HANG_AT_START)) {
    rmSync(HANG_AT_START);
    hang();
  }
}
channel.unref();
