// Several processes of one program on one port. Arguments: program, number of processes, working directory.
import cluster from 'node:cluster';

const [, , exec = '', count = '1', cwd = '.'] = process.argv;

cluster.setupPrimary({ exec, args: [], execArgv: [], cwd });
for (let forked = 0; forked < Number(count); forked += 1) cluster.fork();
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
