"""The runs slice.

TENANT#<t>#RUNS#RUN#<run_…>    RUN                     the run, with its attempts and calls; in the `list` index
                                                       under …#RUNS#LIST by id, and until it is final in the `due`
                                                       index under DUE#RUNS#RUN by the time the reaper looks at it
TENANT#<t>#RUNS#BUDGET#<month> BUDGET                  what is left of the tenant's month, and its open calls; while
                                                       there are any in the `due` index under DUE#RUNS#BUDGET
                                                       by the time the sweep looks at them
TENANT#<t>#RUNS                COPY#TENANT             what is known of the tenant
TENANT#<t>#RUNS                COPY#AGENT#<agt_…>      what is known of an agent; a tombstone when it was deleted
TENANT#<t>#RUNS                COPY#VERSION#<agt_…>#n  what is known of a version of it
"""

from shared.declaration import Slice, Table

SLICE = Slice("RUNS", Table.ENTITIES)
