// `npm run local`: keeps a local stack up with the app deployed into it and prints the environment to use, until Ctrl-C.
import { dirname } from 'node:path';
import { parseArgs } from 'node:util';
import { deploy } from './deploy.ts';
import { startLocalStack } from './stack.ts';
import { onTermination } from './termination.ts';

const { values } = parseArgs({
  options: {
    iam: { type: 'boolean', default: true },
    empty: { type: 'boolean', default: false },
    context: { type: 'string', multiple: true, default: ['stage=local'] },
    help: { type: 'boolean', short: 'h', default: false },
  },
  allowNegative: true,
});

if (values.help) {
  console.log(`npm run local [-- options]
  --empty               start the stack and deploy nothing
  --no-iam              don't enforce IAM policies
  --context name=value  CDK context, once or more (default: stage=local)`);
} else {
  await keepUp();
}

async function keepUp(): Promise<void> {
  const stack = await startLocalStack({ iam: values.iam });
  const ended = new Promise<void>((resolve) => {
    onTermination(async () => resolve());
  });
  try {
    if (!values.empty) await deployApp(stack);
    const lines = Object.entries(stack.env).map(([name, value]) => `export ${name}=${value}`);
    console.log(`\nThe local stack is up. In another shell:\n\n${lines.join('\n')}\n\nCtrl-C ends it.`);
    const alive = setInterval(() => undefined, 60_000);
    await ended;
    clearInterval(alive);
  } finally {
    await stack.stop();
  }
}

async function deployApp(stack: Awaited<ReturnType<typeof startLocalStack>>): Promise<void> {
  const { outputs, seconds } = await deploy(stack, {
    appDir: dirname(import.meta.dirname),
    context: Object.fromEntries(values.context.map((each) => each.split(/=(.*)/s).slice(0, 2))),
    progress: (line) => console.log(`  ${line}`),
  });
  console.log(`Deployed in ${seconds.toFixed(1)} s`);
  for (const [name, own] of Object.entries(outputs)) {
    for (const [output, value] of Object.entries(own)) {
      if (!output.startsWith('ExportsOutput')) console.log(`  ${name}.${output} = ${value}`);
    }
  }
}
