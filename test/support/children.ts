import type { ChildProcess } from 'node:child_process';

const running = new Map<ChildProcess, () => void>();
process.once('exit', () => {
  for (const end of running.values()) {
    try {
      end();
    } catch {
      // the others are to end as well
    }
  }
});

/** Sees to it that `child` does not outlive this process: `end` is called at the exit, should it still run then. */
export function endWithUs(child: ChildProcess, end: () => void = () => child.kill('SIGKILL')): void {
  running.set(child, end);
  child.once('close', () => running.delete(child));
}
