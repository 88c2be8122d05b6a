import { incidentReportJsonSchema } from '../shared/api/incident-report.ts';

// Prints docs/incident-report.schema.json: `node scripts/incident-schema.ts > docs/incident-report.schema.json && npm run format`.
process.stdout.write(`${JSON.stringify(incidentReportJsonSchema(), null, 2)}\n`);
