import { writeFile } from 'node:fs/promises';
import { Command } from 'commander';
import { bundles } from './bundles.ts';
import { client } from './client.ts';
import { cost } from './cost.ts';
import { emergency } from './emergency.ts';
import { emergencyAtScale } from './emergency-scale.ts';
import { emergencyWithoutSinks } from './emergency-sinks.ts';
import { identities } from './identities.ts';
import { missed, table, toJson, type Figures } from './figures.ts';
import { revocationPath } from './revocation-path.ts';
import { rotationUnderLoad } from './rotations.ts';
import { Stage, type Tell } from './stage.ts';

/** In the order in which they run: those that need a quiet machine before the stack is started. */
const BENCHMARKS: Readonly<
  Record<string, (tell: Tell, stage: Stage, credentials: number, down?: string) => Promise<Figures>>
> = {
  bundles,
  'revocation-path': revocationPath,
  client,
  identities,
  emergency: (tell, stage) => emergency(stage, tell),
  rotation: (tell, stage) => rotationUnderLoad(stage, tell),
  cost: (tell, stage) => cost(stage, tell),
  // On stacks of their own, with more types.
  'emergency-scale': (tell, _stage, credentials) => emergencyAtScale(credentials, tell),
  'emergency-sinks': (tell, _stage, credentials, down) => emergencyWithoutSinks(credentials, down, tell),
};

const command = new Command('npm run bench --')
  .description(
    'Measures Rekey against its peers in one run, as ratios and counts. Exits non-zero where a goal is missed.',
  )
  .argument('[names...]', `only these: ${Object.keys(BENCHMARKS).join(', ')}`)
  .option('--json <file>', 'write the figures as JSON')
  .option('--credentials <count>', 'of emergency-scale and emergency-sinks', '1000')
  .option('--down <sink>', 'of emergency-sinks, only this one: nothing, ledger, s3 or both')
  .parse();
const { json, credentials, down } = command.opts<{ json?: string; credentials: string; down?: string }>();
const unknown = command.args.filter((name) => BENCHMARKS[name] === undefined);
if (unknown.length > 0) command.error(`no such benchmark: ${unknown.join(', ')}`);
const chosen = command.args.length > 0 ? command.args : Object.keys(BENCHMARKS);

const began = Date.now();
const tell: Tell = (line) => {
  console.log(`${((Date.now() - began) / 1000).toFixed(0).padStart(5)} s  ${line}`);
};
const stage = new Stage(tell);
let figures: Figures = {};
try {
  for (const [name, run] of Object.entries(BENCHMARKS)) {
    if (!chosen.includes(name)) continue;
    tell(name);
    figures = { ...figures, ...(await run(tell, stage, Number(credentials), down)) };
  }
} catch (error) {
  console.error(error instanceof Error ? error.message : String(error));
  process.exitCode = 1;
} finally {
  await stage.stop();
}

console.log(`\n${table(figures)}`);
for (const [name, { detail = [] }] of Object.entries(figures)) {
  if (detail.length > 0) console.log(`\n${name}\n${detail.map((line) => `  ${line}`).join('\n')}`);
}
if (json !== undefined) await writeFile(json, toJson(figures));
const broken = missed(figures);
if (broken.length > 0) {
  console.error(`\nGoals missed:\n${broken.map((line) => `  ${line}`).join('\n')}`);
  process.exitCode = 1;
}
