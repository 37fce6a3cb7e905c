//! Owns the kinds of statements.

/// What a statement is, by its leading verb; behind WITH the verb of the main statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verb {
    /// SELECT, VALUES, TABLE, also in parentheses.
    Select,
    /// INSERT.
    Insert,
    /// UPDATE.
    Update,
    /// DELETE.
    Delete,
    /// MERGE.
    Merge,
    /// TRUNCATE.
    Truncate,
    /// COPY … FROM.
    CopyFrom,
    /// COPY … TO.
    CopyTo,
    /// BEGIN, START TRANSACTION; the modes are the value.
    Begin,
    /// COMMIT, END.
    Commit,
    /// COMMIT AND CHAIN.
    CommitAndChain,
    /// ROLLBACK, ABORT.
    Rollback,
    /// ROLLBACK AND CHAIN.
    RollbackAndChain,
    /// SAVEPOINT name.
    Savepoint,
    /// RELEASE name.
    Release,
    /// ROLLBACK TO name.
    RollbackTo,
    /// PREPARE TRANSACTION id.
    PrepareTransaction,
    /// COMMIT PREPARED id.
    CommitPrepared,
    /// ROLLBACK PREPARED id.
    RollbackPrepared,
    /// SET name, SET SESSION name, SET TIME ZONE, SET NAMES, SET ROLE, …
    Set,
    /// SET LOCAL name.
    SetLocal,
    /// SET TRANSACTION, SET CONSTRAINTS.
    SetTransaction,
    /// RESET name, ALL, ROLE, SESSION AUTHORIZATION.
    Reset,
    /// SHOW.
    Show,
    /// DISCARD ALL.
    DiscardAll,
    /// DISCARD PLANS, SEQUENCES, TEMP: the name.
    Discard,
    /// LISTEN.
    Listen,
    /// UNLISTEN.
    Unlisten,
    /// NOTIFY.
    Notify,
    /// PREPARE name AS.
    Prepare,
    /// EXECUTE name.
    Execute,
    /// DEALLOCATE name.
    Deallocate,
    /// DEALLOCATE ALL.
    DeallocateAll,
    /// DECLARE name CURSOR.
    Declare,
    /// FETCH, MOVE.
    Fetch,
    /// CLOSE name or ALL.
    Close,
    /// EXPLAIN of the inner verb.
    Explain,
    /// CREATE.
    Create,
    /// ALTER.
    Alter,
    /// DROP.
    Drop,
    /// COMMENT, GRANT, REVOKE, REASSIGN, SECURITY LABEL, IMPORT, REFRESH.
    Define,
    /// VACUUM, ANALYZE, CLUSTER, REINDEX, CHECKPOINT.
    Maintain,
    /// LOAD.
    Load,
    /// LOCK.
    Lock,
    /// DO.
    Do,
    /// CALL.
    Call,
}
