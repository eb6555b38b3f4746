"""Who tells people that something is wrong, once, and once that all is well again? Whichever node looks next.

What is wrong is what the tables say, as the health check tells it: jobs that fail, have had slots missed or are stuck,
and nodes that are silent. So nothing is forgotten that a node has died over before it could tell. All of it is done by
a thread of its own, for which no run, claim or record waits.

- ``telling``: a look, from what is wrong to the people who are told.
- ``troubles``: what is wrong.
- ``memory``: what has been seen and told, in the table of alerts, and who has the right to tell.
- ``notices``: what people are told, and the mail that says it.
"""

#: What other wings may use.
__all__ = ["notices", "telling"]
