// Loaded into the service and its threads with --import: lets signals make the thread of the embedded database fall ill.
import { BroadcastChannel, isMainThread } from 'node:worker_threads';

const channel = new BroadcastChannel('drill');
if (isMainThread) {
  process.on('SIGUSR2', () => channel.postMessage('hang'));
  process.on('SIGPIPE', () => channel.postMessage('die'));
} else {
  channel.onmessage = ({ data }) => {
    if (data === 'hang') for (;;);
    else process.exit(1);
  };
}
channel.unref();
