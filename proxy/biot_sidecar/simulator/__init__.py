"""BioT on your desk: login, entities, search, interceptors and faults on aiohttp.web. Never used by `serve`.

    request -> app (record, log) -> faults, injection -> simulator: router, tokens -> interception
                                                                                            |
    answer <- app                        handlers: login entities measurements files subscriptions <-+

Which operations there are says `catalogue`: those of `operations`, which have a handler, completed with what BioT's
catalogue knows (public, permission, interceptable), and all others of BioT's, which answer 501. What BioT's
specifications say of each stands in one table (`facts`, `shapes`). A handler gets a `values.Call`, answers a
`values.Answer` or raises a `values.BiotError`, and notes each change of an entity in `Call.changes`.

The data is invented and lives in memory. What BioT does not document (when a service user is locked, which
attributes are mandatory beyond the typed models' own) is decided here and said where it is decided.
"""
