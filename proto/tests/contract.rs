//! The contract as it is checked in: no field number, type or RPC moves by accident.

#![expect(clippy::unwrap_used, reason = "a test file")]

use std::fmt::Write as _;

use prost::Message as _;
use prost_types::{
    DescriptorProto, EnumDescriptorProto, FileDescriptorSet,
    field_descriptor_proto::{Label, Type},
};

const GOLDEN: &str = include_str!("../contract.txt");

#[test]
fn the_contract_is_the_one_that_is_checked_in() {
    let bytes = include_bytes!(concat!(env!("OUT_DIR"), "/descriptor.bin"));
    let contract = describe(&FileDescriptorSet::decode(&bytes[..]).unwrap());
    if std::env::var_os("UPDATE_CONTRACT").is_some() {
        std::fs::write(
            concat!(env!("CARGO_MANIFEST_DIR"), "/contract.txt"),
            &contract,
        )
        .unwrap();
    }
    for line in GOLDEN.lines() {
        assert!(
            contract.lines().any(|ours| ours == line),
            "gone or changed: {line}"
        );
    }
    assert!(
        contract == GOLDEN,
        "the contract grew: run UPDATE_CONTRACT=1 cargo test -p awsso-proto --test contract"
    );
}

fn describe(set: &FileDescriptorSet) -> String {
    let mut lines = Vec::new();
    for file in set.file.iter().filter(|f| f.package() == "awsso.v1") {
        for service in &file.service {
            for rpc in &service.method {
                lines.push(format!(
                    "rpc {}.{}({}) -> {}{}",
                    service.name(),
                    rpc.name(),
                    rpc.input_type(),
                    if rpc.server_streaming() {
                        "stream "
                    } else {
                        ""
                    },
                    rpc.output_type()
                ));
            }
        }
        for message in &file.message_type {
            describe_message(message, message.name(), &mut lines);
        }
        for r#enum in &file.enum_type {
            describe_enum(r#enum, &mut lines);
        }
    }
    lines.sort();
    lines.iter().fold(String::new(), |mut text, line| {
        writeln!(text, "{line}").unwrap();
        text
    })
}

fn describe_message(message: &DescriptorProto, path: &str, lines: &mut Vec<String>) {
    for field in &message.field {
        let kind = match field.r#type() {
            Type::Message | Type::Enum => field.type_name().to_owned(),
            scalar => scalar.as_str_name().to_owned(),
        };
        let label = match field.label() {
            Label::Repeated => "repeated ",
            Label::Optional | Label::Required => "",
        };
        lines.push(format!(
            "field {path}.{} = {} {label}{kind}",
            field.name(),
            field.number()
        ));
    }
    for nested in &message.nested_type {
        describe_message(nested, &format!("{path}.{}", nested.name()), lines);
    }
}

fn describe_enum(r#enum: &EnumDescriptorProto, lines: &mut Vec<String>) {
    for value in &r#enum.value {
        lines.push(format!(
            "enum {}.{} = {}",
            r#enum.name(),
            value.name(),
            value.number()
        ));
    }
}
