// `npm run tabletop`: the opening case of the playbook on the local stack, told step by step, and checked at its end.
import { mkdir, mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { startWorld } from '../demo/world.ts';
import { LocalSources } from '../signals.ts';
import { CAPS } from './caps.ts';
import { narrator } from './narrator.ts';
import { shortfalls } from './outcome.ts';
import { KEYS, play } from './scenario.ts';
import { Vendor } from './vendor.ts';

const { values } = parseArgs({
  options: {
    interactive: { type: 'boolean', default: false },
    out: { type: 'string' },
    help: { type: 'boolean', short: 'h', default: false },
  },
});

if (values.help) {
  console.log(`npm run tabletop [-- options]
  --interactive   stop at each question until somebody presses Enter
  --out FOLDER    where the reports are written; left out, a temporary folder, which is named`);
} else {
  const says = narrator(values.interactive);
  await using ending = new AsyncDisposableStack();
  try {
    says.title(
      'Setting the table: Rekey is deployed into a local AWS, beside a stand-in for a vendor and for GitHub',
    );
    const made: { vendor?: Vendor; sources?: LocalSources } = {};
    const world = await startWorld(says.tell, async (stack) => {
      made.vendor = ending.use(await Vendor.start(stack));
      made.sources = ending.use(await LocalSources.start(stack, CAPS));
      return { ...made.sources.settings, types: ['llm-key'] };
    });
    ending.defer(() => world.stop());
    const { vendor, sources } = made;
    if (vendor === undefined || sources === undefined) throw new Error('the stand-ins are not there');
    const folder = values.out ?? (await mkdtemp(join(tmpdir(), 'rekey-tabletop-')));
    await mkdir(folder, { recursive: true });
    const outcome = await play({ world, vendor, sources, says, folder });
    const lacking = shortfalls(outcome, KEYS.length);
    says.title(lacking.length === 0 ? 'It went as it should' : 'It did not go as it should');
    for (const line of lacking) console.log(`  - ${line}`);
    console.log(
      `  contained in ${outcome.secondsToRevoke} s; ${outcome.reported} keys reported, ${outcome.gaps} gaps named. ` +
        'What your people would have done otherwise belongs into docs/runbook.md.',
    );
    if (lacking.length > 0) process.exitCode = 1;
  } catch (error) {
    console.error(`\nThe exercise stopped: ${error instanceof Error ? error.message : String(error)}`);
    process.exitCode = 1;
  }
}
