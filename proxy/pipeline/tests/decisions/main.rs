//! What the pipeline decides, given what plugins say: no sockets, no components.

#[cfg(test)]
mod authorize;
#[cfg(test)]
mod bodies;
#[cfg(test)]
mod canonical;
#[cfg(test)]
mod challenges;
#[cfg(test)]
mod composition;
#[cfg(test)]
mod counted;
#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod identity_headers;
#[cfg(test)]
mod limit;
#[cfg(test)]
mod limiters;
#[cfg(test)]
mod mapping;
#[cfg(test)]
mod plans;
#[cfg(test)]
mod policies;
#[cfg(test)]
mod receive;
#[cfg(test)]
mod respond;
#[cfg(test)]
mod route_model;
#[cfg(test)]
mod routing;
#[cfg(test)]
mod scopes;
#[cfg(test)]
mod scripted;
#[cfg(test)]
mod sent;
#[cfg(test)]
mod served;
#[cfg(test)]
mod transform_request;
#[cfg(test)]
mod transform_response;
#[cfg(test)]
mod unreached;
#[cfg(test)]
mod validate;
