// Loaded into worker threads by NODE_OPTIONS: fsync fails while the file FAIL_FSYNC exists.
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';

const { fsyncSync } = fs;
fs.fsyncSync = (descriptor) => {
  if (fs.existsSync(process.env.FAIL_FSYNC ?? '')) {
    throw Object.assign(new Error('EIO: i/o error, fsync'), { code: 'EIO', errno: -5, syscall: 'fsync' });
  }
  return fsyncSync(descriptor);
};
syncBuiltinESMExports();
