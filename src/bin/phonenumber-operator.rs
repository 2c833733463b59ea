//! The operator.
fn main() -> anyhow::Result<()> {
    for d in phonenumber_operator::api::definitions()? {
        println!("---\n{}", serde_saphyr::to_string(&d)?);
    }
    Ok(())
}
