import { join } from 'node:path';

const SUPPORT = new URL('../../test/support/', import.meta.url);

/** Of `file-recorder.mjs`. */
interface FileRecorder {
  readonly lastAnswer: () => string;
  readonly mark: (name: string) => void;
  readonly exitThreads: () => void;
  readonly stop: () => void;
}

/**
 * Loads a module of this folder into the worker threads that are started from now on.
 * @param settings environment variables that it reads.
 * @returns a function that loads it no more.
 */
export function loadIntoThreads(module: string, settings: Readonly<Record<string, string>>): () => void {
  const { NODE_OPTIONS = '' } = process.env;
  Object.assign(process.env, settings, { NODE_OPTIONS: `${NODE_OPTIONS} --import=${new URL(module, SUPPORT).href}` });
  return () => {
    process.env.NODE_OPTIONS = NODE_OPTIONS;
    for (const name of Object.keys(settings)) delete process.env[name];
  };
}

export interface Recording extends Omit<FileRecorder, 'stop'> {
  /** To be read with `readOperations`. */
  readonly log: string;
  /** The folder that is recorded. */
  readonly root: string;
  stop(): void;
}

/** Records what this process and its threads do to the files in the folder `root`. Possible once in a process. */
export async function recordFiles(root: string, logFolder: string): Promise<Recording> {
  const log = join(logFolder, 'operations');
  const unload = loadIntoThreads('file-recorder.mjs', { RECORD_ROOT: root, RECORD_LOG: log });
  const recorder: FileRecorder = await import(new URL('file-recorder.mjs', SUPPORT).href);
  const stop = () => {
    unload();
    recorder.stop();
  };
  return { ...recorder, stop, log, root };
}
