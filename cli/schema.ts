import { declarationJsonSchema } from '../shared/domain/declaration.ts';

// Prints docs/rekey.schema.json: `node cli/schema.ts > docs/rekey.schema.json && npm run format`. A test compares.
process.stdout.write(`${JSON.stringify(declarationJsonSchema(), null, 2)}\n`);
