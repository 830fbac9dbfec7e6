// The load process: runs one command of its parent at a time and replies with the result.
import { RequestCache } from './requests.ts';
import { runLoad } from './run.ts';
import type { LoadCommand, LoadReply } from './workload.ts';

const requests = new RequestCache(process.env.JWT_SECRET ?? '');

async function execute(command: LoadCommand): Promise<LoadReply> {
  try {
    return { result: await runLoad(command, requests.cycle(command)) };
  } catch (error) {
    return { error: error instanceof Error ? error.message : String(error) };
  }
}

process.on('message', (command: LoadCommand) => {
  void execute(command).then((reply) => process.send?.(reply));
});
process.on('disconnect', () => process.exit(0));
