import type { ChildProcess } from 'node:child_process';

const running = new Map<ChildProcess, () => void>();
process.once('exit', () => {
  for (const end of running.values()) {
    try {
      end();
    } catch {
      // the others still have to be ended
    }
  }
});

/** Calls `end`, which kills `child` by default, if the child still runs when this process exits. */
export function killOnExit(child: ChildProcess, end: () => void = () => child.kill('SIGKILL')): void {
  running.set(child, end);
  child.once('close', () => running.delete(child));
}
