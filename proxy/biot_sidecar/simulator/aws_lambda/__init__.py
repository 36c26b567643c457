"""AWS Lambda on your desk: a function URL in front, the Runtime API behind, and the plugin's own processes between.

    HTTP request -> front -> function_url (event) -> function: one environment for each event under way
                                                       |  runtime_api: the plugin's runtime asks for it and replies
    HTTP answer  <- front <- function_url (reply) <----+

Source: AWS Lambda developer guide: Runtime API (2018-06-01), function URLs (payload 2.0), execution environment.
"""
