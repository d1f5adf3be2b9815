// The client of the ainexus API: the generated types, with openapi-fetch as the client.
import createClient, { type Client, type ClientOptions } from "openapi-fetch";
import type { components, paths } from "./schema.d.ts";

export type { components, operations, paths } from "./schema.d.ts";

/** The schemas of the API by name, for example `Schemas["Run"]`. */
export type Schemas = components["schemas"];

export type AinexusClient = Client<paths>;

/** Return a client that sends the id token with each request. */
export function createAinexusClient(token: string, options: ClientOptions): AinexusClient {
  return createClient<paths>({ ...options, headers: { ...options.headers, Authorization: `Bearer ${token}` } });
}
