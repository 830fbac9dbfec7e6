import { copyFileSync, cpSync, lstatSync, readdirSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** A copy of a folder that can be made as it was, by copying only what has changed. */
export class MirroredFolder {
  readonly path: string;
  readonly #original: string;
  readonly #looks: Map<string, string>;

  /** Copies the folder `original` to `path`. */
  constructor(original: string, path: string) {
    this.#original = original;
    this.path = path;
    cpSync(original, path, { recursive: true });
    this.#looks = new Map(this.#names().map((name) => [name, this.#look(name)]));
  }

  /** The files and folders of the original, relative to it. */
  get names(): readonly string[] {
    return [...this.#looks.keys()];
  }

  /** @param changed what is copied in any case. */
  restore(changed: readonly string[]): void {
    for (const name of [...changed, ...this.#names().filter((found) => this.#looks.get(found) !== this.#look(found))]) {
      rmSync(join(this.path, name), { recursive: true, force: true });
    }
    for (const name of this.#looks.keys()) {
      if (this.#look(name) !== '') continue;
      const original = join(this.#original, name);
      if (lstatSync(original).isDirectory()) cpSync(original, join(this.path, name), { recursive: true });
      else copyFileSync(original, join(this.path, name));
      for (const copied of this.#below(name)) this.#looks.set(copied, this.#look(copied));
    }
  }

  #names(): string[] {
    return readdirSync(this.path, { recursive: true, encoding: 'utf8' }).sort();
  }

  /** `name` and, of a folder, everything in it. */
  #below(name: string): string[] {
    return [...this.#looks.keys()].filter((other) => other === name || `${dirname(other)}/`.startsWith(`${name}/`));
  }

  /** What tells a file that was changed; '' if there is none. */
  #look(name: string): string {
    const entry = lstatSync(join(this.path, name), { throwIfNoEntry: false });
    if (entry === undefined) return '';
    return entry.isDirectory() ? `folder ${entry.mode}` : `${entry.ino} ${entry.size} ${entry.mtimeMs} ${entry.mode}`;
  }
}
