"""BioT on your desk: login, entities, search, interceptors and faults on aiohttp.web. Never used by `serve`.

    request -> app (record, log) -> faults, injection -> simulator: router, token (login) -> interception
                                                                                                         |
    answer <- app                                 handlers: login entities measurements files subscriptions <-+

The data is invented and lives in memory. What BioT does not document (when a service user is locked, which
attributes are mandatory beyond the typed models' own) is decided here and said where it is decided.
"""
