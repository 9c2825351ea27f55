//! Services: one per process with a port.

use k8s_openapi::api::core::v1::{Service, ServicePort, ServiceSpec};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::{Frame, deployment};
use crate::app::valid::ValidProcess;

pub fn service(frame: Frame<'_>, process: &ValidProcess) -> Option<Service> {
    let port = process.port?;
    Some(Service {
        metadata: frame.metadata(frame.child_name(&process.name), deployment::part(process)),
        spec: Some(ServiceSpec {
            type_: Some("ClusterIP".into()),
            selector: Some(frame.selector(&process.name)),
            ports: Some(vec![ServicePort {
                name: Some("http".into()),
                port,
                protocol: Some("TCP".into()),
                target_port: Some(IntOrString::String("http".into())),
                ..ServicePort::default()
            }]),
            ..ServiceSpec::default()
        }),
        status: None,
    })
}
