import { spawn, spawnSync } from 'node:child_process';
import { findPostgres, PostgresServer, freePort } from './support/postgres-server.ts';
import { createPostgresDatabase, signToken } from './support/service.ts';
import { openSync, readdirSync, readFileSync, rmSync } from 'node:fs';
const server = await PostgresServer.create(findPostgres('/usr/lib/postgresql/15/bin')!);
const { url } = await createPostgresDatabase(server.url());
const port = await freePort();
for (const f of readdirSync('/tmp/prof')) if (f.endsWith('.cpuprofile')) rmSync('/tmp/prof/'+f);
const prof = process.argv.includes('prof') ? ['--cpu-prof','--cpu-prof-dir=/tmp/prof'] : [];
const main = process.argv.find(a=>a.endsWith('main.js')) ?? 'dist/main.js';
const child = spawn('taskset',['-c','0','node',...prof,main],{env:{...process.env,PORT:String(port),DATABASE_URL:url,JWT_SECRET:'test-secret-of-more-than-thirty-two-bytes',ENVIRONMENT:'production',HOST:'127.0.0.1',RATE_LIMIT_PER_MINUTE:'1000000',...(process.env.VAR?Object.fromEntries([process.env.VAR.split('=')]):{})},stdio:['ignore',openSync('/tmp/prof/log','w'),'inherit']});
const o=`http://127.0.0.1:${port}`;
for(;;){try{if((await fetch(o+'/ready')).ok)break}catch{} await new Promise(r=>setTimeout(r,50))}
const token=await signToken('ann'); let id='';
for(let i=0;i<20;i++){const r=await fetch(o+'/api/tasks',{method:'POST',headers:{authorization:`Bearer ${token}`,'content-type':'application/json'},body:JSON.stringify({title:`task ${i} with a title`,description:'some description of it'})}); id=((await r.json()) as any).id}
const cpu=()=>{const s=readFileSync(`/proc/${child.pid}/stat`,'utf8').split(') ')[1]!.split(' '); return (Number(s[11])+Number(s[12]))*10000};
for (const [name,args] of [['list',[o+'/api/tasks']],['get',[o+'/api/tasks/'+id]],['toggle',['-m','POST',o+`/api/tasks/${id}/toggle`]]] as const) {
 for (const d of ['2','5']) { const c0=cpu();
  const r=spawnSync('taskset',['-c','1','node','/tmp/probe/node_modules/autocannon/autocannon.js','-j','-c','32','-d',d,'-H',`authorization=Bearer ${token}`,...args],{encoding:'utf8'});
  const j=JSON.parse(r.stdout); if(d==='5') console.log(name, Math.round(j.requests.average),'rps', 'p50',j.latency.p50,'p99',j.latency.p99,'cpu/req',Math.round((cpu()-c0)/j.requests.total),'us non2xx',j.non2xx); }
}
child.kill('SIGTERM'); await new Promise(r=>child.once('exit',r)); await server.remove();
