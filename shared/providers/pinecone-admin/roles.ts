import * as z from 'zod';
import type { Api } from '../http/api.ts';
import type { Scope } from '../http/scope.ts';
import { listOf } from './objects.ts';

/** What a service account may do, in words: a role of the organization, or `ROLE@PROJECT`. */
export const ROLE =
  /^(Org(Owner|Manager|Member|BillingAdmin)|(Project(Owner|Manager|Member|Editor|Viewer)|(Control|Data)Plane(Editor|Viewer))@[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})$/;

const binding = z.object({
  principal_id: z.string(),
  resource_type: z.enum(['organization', 'project']),
  resource_id: z.string(),
  role: z.string(),
});

/** What each service account may do, or one of them, by its id: Pinecone keeps the two apart. */
export async function rolesOf(api: Api, id?: string): Promise<(id: string) => Scope> {
  const one = id === undefined ? {} : { principal_id: id };
  const query = { principal_type: 'service_account', ...one };
  const bindings = await listOf(api, '/admin/role-bindings', query, binding);
  return (of) => bindings.filter((each) => each.principal_id === of).map(inWords);
}

/** A role as what a service account is made with. */
export function bindingOf(role: string): object {
  const [name, project] = role.split('@');
  return project === undefined
    ? { resource_type: 'organization', role: name }
    : { resource_type: 'project', resource_id: project, role: name };
}

function inWords({ resource_type: of, resource_id: project, role }: z.infer<typeof binding>): string {
  return of === 'organization' ? role : `${role}@${project}`;
}
