"""BioT on your desk: login, entities, search, interceptors and faults on aiohttp.web. Never used by `serve`.

    request -> app (record, log) -> faults, injection -> simulator: router, tokens, permissions -> interception
                                                                                                        |
    answer <- app              handlers: entities, users, measurements, files, subscriptions, ...   <---+
                                   |
                                   changes -> plugin_events

Which operations there are says `catalogue`: those of `operations`, which have a handler, completed with what BioT's
catalogue knows (public, permission, interceptable), and all others of BioT's, which answer 501. What BioT's
specifications say of each stands in one table (`facts`): `refusals` holds bodies to its `shapes`, before any handler,
and names what is wrong by the codes that the operation declares (with --lenient it warns, and `lenient` puts a value in
the place of what is missing). A handler gets a `values.Call`, answers a
`values.Answer` or raises a `values.BiotError`, and notes each change of an entity in `Call.changes`.

Entities are one engine's (`entities`, on `store`), to which each entity type is a `kinds.Kind`: `people`,
`organizations`, `devices`, `sessions`, `alerts`, but also `service_users`, `plugins_api`, `reports`. What attributes an
entity has beside BioT's own say `templates`. A new family of operations is a Kind, its paths in `operations` (or its
own class), and, if only it does something, a function that the Kind names.

The data is invented and lives in memory. What BioT does not document (when a service user is locked, how long a
refresh token lives) is decided here and said where it is decided.
"""
