import { readFileSync } from 'node:fs';

const INTERVAL_MS = 50;

/** VmRSS of a process. */
export function residentMiB(pid: number): number {
  return Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1]) / 1024;
}

/** Watches VmRSS of a process until stopped. @returns a function that stops and gives the most that was seen. */
export function watchMemory(pid: number): () => number {
  let most = residentMiB(pid);
  const timer = setInterval(() => {
    most = Math.max(most, residentMiB(pid));
  }, INTERVAL_MS);
  return () => {
    clearInterval(timer);
    return Math.round(Math.max(most, residentMiB(pid)));
  };
}
