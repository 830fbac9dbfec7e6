// Several processes of one program behind one port. Arguments: the program, how many processes, their folder.
import cluster from 'node:cluster';

const [, , exec = '', count = '1', cwd = '.'] = process.argv;

cluster.setupPrimary({ exec, args: [], execArgv: [], cwd });
for (let started = 0; started < Number(count); started += 1) cluster.fork();
cluster.on('exit', (worker) => {
  if (worker.exitedAfterDisconnect !== true) process.exit(1);
});

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, () => {
    const workers = Object.values(cluster.workers ?? {});
    for (const worker of workers) worker?.process.kill('SIGTERM');
    let left = workers.length;
    cluster.removeAllListeners('exit');
    cluster.on('exit', () => {
      left -= 1;
      if (left === 0) process.exit(0);
    });
  });
}
