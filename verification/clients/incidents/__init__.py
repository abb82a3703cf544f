"""Systems that know of open incidents, or are told of one: PagerDuty, Statuspage."""
