"""The runs slice.

TENANT#<t>#RUNS#RUN#<run_…>    RUN                     the run, with its attempts and calls; in the `list` index
                                                       under …#RUNS#LIST by id, and until it is final in the `due`
                                                       index under DUE#RUNS#RUN by the time the reaper looks at it
TENANT#<t>#RUNS#RUN#<run_…>    TEXT#<attempt>#<call>#n a piece of an answer that is being written, n characters behind
                                                       its beginning; or the mark of who cancelled
TENANT#<t>#RUNS#RUN#<run_…>    BURIED                  a deleted run that has left something behind; in the `due`
                                                       index under DUE#RUNS#BURIED
TENANT#<t>#RUNS                STORAGE                 the bytes of its runs that lie in the bucket
TENANT#<t>#RUNS                COPY#TENANT             what is known of the tenant
TENANT#<t>#RUNS                COPY#AGENT#<agt_…>      what is known of an agent; a tombstone when it was deleted
TENANT#<t>#RUNS                COPY#VERSION#<agt_…>#n  what is known of a version of it
TENANT#<t>#RUNS                STOPPING                a tenant that is being deleted; in the `due` index under
                                                       DUE#RUNS#STOPPING, until its runs have ended
"""

from shared.declaration import Slice, Table
from shared.storage.traces import Traces

SLICE = Slice("RUNS", Table.ENTITIES)
TRACES = Traces(lists=("LIST",))
