import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';

interface Esbuild {
  build(options: object): Promise<{ readonly outputFiles: readonly { readonly text: string }[] }>;
}

const require = createRequire(import.meta.url);
/** The one that tsx depends on. */
const esbuild: Esbuild = createRequire(require.resolve('tsx'))('esbuild');

/** `code` with everything it imports, minified, as one script for browsers. @param options of esbuild. */
export async function bundle(code: string, options: object = {}): Promise<string> {
  const { outputFiles } = await esbuild.build({
    stdin: { contents: code, resolveDir: fileURLToPath(new URL('../../', import.meta.url)) },
    bundle: true,
    minify: true,
    format: 'esm',
    target: 'es2022',
    write: false,
    ...options,
  });
  return outputFiles.map(({ text }) => text).join('');
}
