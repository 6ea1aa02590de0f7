//! Flows of packets, built and checksummed by simple code that shares nothing with what is tested.

pub const FIN: u8 = 1;
pub const SYN: u8 = 2;
pub const PSH: u8 = 8;
pub const ACK: u8 = 16;
pub const CWR: u8 = 128;

/// RFC 1071, as plainly as it can be said.
pub fn simple_checksum(bytes: &[u8]) -> u16 {
    let mut sum = 0u32;
    for pair in bytes.chunks(2) {
        sum += u32::from(pair[0]) * 256 + u32::from(*pair.get(1).unwrap_or(&0));
        if sum > 0xffff {
            sum -= 0xffff;
        }
    }
    !(sum as u16)
}

#[derive(Clone)]
pub struct Flow {
    pub ethernet: bool,
    pub v6: bool,
    pub udp: bool,
    pub host: u8,
    pub port: u16,
    pub dont_fragment: bool,
    pub identification: u16,
    pub sequence: u32,
    pub acknowledgement: u32,
    pub window: u16,
    pub options: Vec<u8>,
    pub ttl: u8,
    pub tos: u8,
}

impl Flow {
    pub fn new(host: u8, v6: bool, udp: bool) -> Self {
        Flow {
            ethernet: false,
            v6,
            udp,
            host,
            port: 4000 + u16::from(host),
            dont_fragment: true,
            identification: 65_530,
            sequence: u32::MAX - 3_000,
            acknowledgement: 77,
            window: 501,
            options: vec![],
            ttl: 64,
            tos: 0,
        }
    }

    pub fn transport(&self) -> usize {
        (if self.ethernet { 14 } else { 0 }) + if self.v6 { 40 } else { 20 }
    }

    pub fn payload(&self) -> usize {
        self.transport() + if self.udp { 8 } else { 20 + self.options.len() }
    }

    /// The next packet of the flow.
    pub fn packet(&mut self, payload: &[u8], flags: u8) -> Vec<u8> {
        let mut transport = self.transport_header(payload, flags);
        transport.extend_from_slice(payload);
        let mut ip = self.ip_header(transport.len());
        let mut pseudo = if self.v6 { ip[8..40].to_vec() } else { ip[12..20].to_vec() };
        pseudo.extend_from_slice(&[0, if self.udp { 17 } else { 6 }]);
        pseudo.extend_from_slice(&(transport.len() as u16).to_be_bytes());
        pseudo.extend_from_slice(&transport);
        let mut sum = simple_checksum(&pseudo);
        if self.udp && sum == 0 {
            sum = 0xffff;
        }
        let at = if self.udp { 6 } else { 16 };
        transport[at..at + 2].copy_from_slice(&sum.to_be_bytes());
        let mut packet = if self.ethernet { self.ethernet_header() } else { vec![] };
        packet.append(&mut ip);
        packet.append(&mut transport);
        self.sequence = self.sequence.wrapping_add(payload.len() as u32 + u32::from(flags & (SYN | FIN) != 0));
        self.identification = self.identification.wrapping_add(1);
        packet
    }

    pub fn transport_header(&self, payload: &[u8], flags: u8) -> Vec<u8> {
        let mut header = vec![];
        header.extend_from_slice(&self.port.to_be_bytes());
        header.extend_from_slice(&5201u16.to_be_bytes());
        if self.udp {
            header.extend_from_slice(&(8 + payload.len() as u16).to_be_bytes());
            header.extend_from_slice(&[0, 0]);
            return header;
        }
        header.extend_from_slice(&self.sequence.to_be_bytes());
        header.extend_from_slice(&self.acknowledgement.to_be_bytes());
        header.extend_from_slice(&[((20 + self.options.len()) as u8 / 4) << 4, flags]);
        header.extend_from_slice(&self.window.to_be_bytes());
        header.extend_from_slice(&[0, 0, 0, 0]);
        header.extend_from_slice(&self.options);
        header
    }

    pub fn ip_header(&self, length: usize) -> Vec<u8> {
        let protocol = if self.udp { 17 } else { 6 };
        let mut header = vec![];
        if self.v6 {
            header.extend_from_slice(&[0x60 | self.tos >> 4, self.tos << 4, 1, 2]);
            header.extend_from_slice(&(length as u16).to_be_bytes());
            header.extend_from_slice(&[protocol, self.ttl]);
            header.extend_from_slice(&[0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, self.host]);
            header.extend_from_slice(&[0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 200]);
            return header;
        }
        header.extend_from_slice(&[0x45, self.tos]);
        header.extend_from_slice(&(20 + length as u16).to_be_bytes());
        header.extend_from_slice(&self.identification.to_be_bytes());
        header.extend_from_slice(&[if self.dont_fragment { 0x40 } else { 0 }, 0, self.ttl, protocol, 0, 0]);
        header.extend_from_slice(&[10, 77, 0, self.host, 10, 77, 0, 200]);
        let sum = simple_checksum(&header);
        header[10..12].copy_from_slice(&sum.to_be_bytes());
        header
    }

    pub fn ethernet_header(&self) -> Vec<u8> {
        let mut header = vec![2, 0, 0, 0, 0, 200, 2, 0, 0, 0, 0, self.host];
        header.extend_from_slice(if self.v6 { &[0x86, 0xdd] } else { &[0x08, 0x00] });
        header
    }
}

pub fn bulk(flow: &mut Flow, count: usize, size: usize) -> Vec<Vec<u8>> {
    (0..count).map(|i| flow.packet(&vec![i as u8; size], if flow.udp { 0 } else { ACK })).collect()
}
