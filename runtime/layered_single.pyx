"""One request at a time when several policy layers meet, from the objects a caller holds."""

import cython

from libc.stdint cimport int32_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memset

from .codes import Layer

from .answer cimport make_answer
from .column cimport ColumnData
from .intern cimport UNKNOWN_ID
from .layered cimport LayeredEngine
from .opened cimport Batch
from .outcomes cimport Facts
from .records cimport Derived, Record, derived_of
from .single cimport KeyReader, are_plain

cdef tuple LAYERS = tuple(Layer)


@cython.final
@cython.freelist(32)
cdef class Deciders:
    """Finds out, when asked, which layers decided a request: few callers do."""

    cdef object tell
    cdef tuple asked
    cdef bint is_service
    cdef uint64_t must, may
    cdef Facts facts

    def __call__(self):
        if self.is_service:
            return self.tell(None, self.asked)
        cdef Facts* f = &self.facts
        return self.tell((self.must, self.may, (
            f.asker, f.same, f.partition, f.must, f.trust, f.assumed, bool(f.is_root),
            bool(f.is_bucket_policy), bool(f.has_policy))), self.asked)


@cython.final
cdef class LayeredChecker(KeyReader):
    """Checks under every layer on one engine, which belongs to one thread.

    budget_bytes : caches of the engine, above which they are dropped and learnt anew
    """

    cdef LayeredEngine layered
    cdef object deciders
    cdef uint8_t decision, layer, error, is_management, is_other
    cdef int32_t statement
    cdef ColumnData* who[4]
    cdef Batch batch

    def __init__(self, LayeredEngine engine not None, table, type kind not None, deciders, derivable,
                 size_t budget_bytes):
        """kind: decisions.Decision
        deciders  : of `last_row` and the fields of a request, gives the layers that decided
        derivable : numbers of the keys that may follow
        """
        cdef size_t k
        KeyReader.__init__(self, engine, table, kind, derivable, budget_bytes)
        self.layered = engine
        self.deciders = deciders
        for k in range(4):
            self.who[k] = &self.others[k]
        memset(&self.batch, 0, sizeof(Batch))
        self.batch.who = self.who
        self.batch.management = &self.is_management
        self.batch.actions = &self.others[4]
        self.batch.resources = &self.others[5]
        self.batch.owners = &self.others[6]
        self.batch.others = &self.is_other
        self.batch.keys = self.keys
        self.batch.is_derived = self.is_derived
        self.batch.decision = &self.decision
        self.batch.layer = &self.layer
        self.batch.statement = &self.statement
        self.batch.error = &self.error

    cdef object _ask(self, principal, action, resource, context, unknown, issuer_arn,
                     principal_account, principal_type, resource_account, is_management_account,
                     also_allowed):
        cdef LayeredEngine engine = self.layered
        cdef Deciders deciders
        cdef tuple names
        if (not are_plain(action, resource, context, unknown)
                or type(is_management_account) is not bool or type(also_allowed) is not bool):
            return None
        names = tuple(unknown)
        self._begin(<dict>context, names)
        if not (self._put_text(0, &engine.names, principal)
                and self._put_text(1, &engine.names, issuer_arn)
                and self._put_text(2, &engine.names, principal_account)
                and self._put_text(3, &engine.names, principal_type)
                and self._put_text(6, &engine.names, resource_account)):
            return None
        self.is_management = is_management_account
        self.is_other = also_allowed
        self._decide_one(<str>action, <str>resource)
        if self.error:
            return None
        deciders = Deciders.__new__(Deciders)
        deciders.tell = self.deciders
        deciders.asked = (principal, action, resource, {} if context is None else context, names,
                          issuer_arn, principal_account, principal_type, resource_account,
                          is_management_account, also_allowed)
        deciders.is_service = engine.last_is_service
        deciders.must = engine.last_signals.must
        deciders.may = engine.last_signals.may
        deciders.facts = engine.last_facts
        return make_answer(self.kind, self.table, self.decision, self.statement, deciders.asked,
                           LAYERS[self.layer], deciders)

    cdef int _decide_one(self, str action, str resource) except -1:
        cdef LayeredEngine engine = self.layered
        self._put_text(4, &engine.action_table, action)
        self.batch.resources.constant = UNKNOWN_ID if resource is None else (
            self._id(&engine.resources.texts, resource))
        self.error = 0
        # Who asks and whose it is may differ from check to check: found by all that tells them apart,
        # so that what a batch keeps by principal and by resource alone stays.
        engine.is_rest_constant = engine.is_owner_constant = False
        if engine._decide_block(&self.batch, 0, 1) or engine.failed:
            engine.clear()  # what was being learnt is half there
            engine._raise()
        if not self.error and not engine.last_is_service:
            self._note_derived()
        return 0

    cdef void _note_derived(self) noexcept:
        """What followed from the sides (CTX-3) is to be taken back before the next request."""
        cdef LayeredEngine engine = self.layered
        cdef Record* record = <Record*>(engine.records.data + engine.rows[0].record)
        cdef const Derived* derived = derived_of(record)
        cdef size_t k
        for k in range(record.derived_count):
            if self.is_derived[derived[k].key]:
                self.touched[self.touched_count] = derived[k].key
                self.touched_count += 1
