//! What the policies say where they refuse a change of what is the operator's.

pub const CLAIM: &str = "the annotation telephony.burki.dev/claim is the operator's: it keeps a paid number from being lost. \
     Leave it as it is: kubectl replace drops it, and so does a manifest that was applied with it and now comes without it";
pub const FINALIZERS: &str = "the finalizers telephony.burki.dev/... are the operator's: they keep a paid number from being lost. \
                          Use kubectl apply or patch instead of replace; to let a PhoneNumber go without releasing its number, \
                          set spec.deletionPolicy: Retain";
pub const OWN_ANNOTATIONS: &str =
    "the operator changes no annotation but telephony.burki.dev/claim";
pub const OWN_OWNERS: &str = "the operator does not change owners";
pub const OWN_FINALIZERS: &str = "the operator changes no finalizer but telephony.burki.dev/...";
pub const SPEC: &str = "the operator does not change a spec";
pub const LABELS: &str = "the operator does not change labels";
