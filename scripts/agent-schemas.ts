import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { agentOpenApi } from '../shared/api/agent-openapi.ts';
import { pactJsonSchema } from '../shared/domain/pact.ts';

// Writes what is published of the agents' side: `node scripts/agent-schemas.ts && npm run format`. Tests compare.
const docs = join(import.meta.dirname, '..', 'docs');
for (const [file, document] of [
  ['pact.schema.json', pactJsonSchema()],
  ['agent-api.openapi.json', agentOpenApi()],
] as const) {
  await writeFile(join(docs, file), `${JSON.stringify(document, null, 2)}\n`);
}
