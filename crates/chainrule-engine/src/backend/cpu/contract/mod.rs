//! (a stand-in)
#![allow(missing_docs)]
use crate::compile::kernel::*; use crate::tensor::DType;
use super::{fault::FaultCell, region::{Scratch, CompiledRegion, Product, Rectangle}};
pub struct CompiledContract { c: Contract, epi: Option<CompiledRegion> }
fn offs(sizes:&[usize], strides:&[isize])->Vec<isize>{ let mut v=vec![0isize]; for (s,t) in sizes.iter().zip(strides){ let mut w=Vec::new(); for b in &v { for i in 0..*s { w.push(b+i as isize*t);} } v=w;} v }
impl CompiledContract {
  pub fn new(c:&Contract)->Self{ CompiledContract{c:c.clone(), epi:c.epilogue.as_ref().map(CompiledRegion::epilogue)} }
  pub fn units(&self)->usize{1} pub fn cost(&self)->f64{1e6}
  pub unsafe fn run(&self,_u:usize,buf:&[*mut u8],scratch:&mut Scratch,faults:&FaultCell){ unsafe{
    let c=&self.c; let (nb,nm,nn)=(c.batch.len(),c.m.len(),c.n.len()); let lead=(c.k_chunks>1) as usize;
    let get=|a:&Access,o:isize|->f64{ let p=buf[a.buffer as usize]; let o=o+a.offset; match a.dtype{DType::F32=>*(p as *const f32).offset(o) as f64,DType::F64=>*(p as *const f64).offset(o),DType::BF16=>(*(p as *const half::bf16).offset(o)).to_f64(),_=>(*(p as *const half::f16).offset(o)).to_f64()}};
    let ab=offs(&c.batch,&c.a.strides[..nb]); let am=offs(&c.m,&c.a.strides[nb..nb+nm]); let ak=offs(&c.k,&c.a.strides[nb+nm..]);
    let bb=offs(&c.batch,&c.b.strides[..nb]); let bk=offs(&c.k,&c.b.strides[nb..nb+c.k.len()]); let bn=offs(&c.n,&c.b.strides[nb+c.k.len()..]);
    let ob=offs(&c.batch,&c.out.strides[lead..lead+nb]); let om=offs(&c.m,&c.out.strides[lead+nb..lead+nb+nm]); let on=offs(&c.n,&c.out.strides[lead+nb+nm..]);
    let f64s = c.a.dtype==DType::F64; let mut tile64=vec![0f64; bn.len()]; let mut tile32=vec![0f32;bn.len()];
    let kc=ak.len().div_ceil(c.k_chunks).max(1);
    for ch in 0..c.k_chunks { for (bi,_) in ab.iter().enumerate(){ for mi in 0..am.len(){
      for ni in 0..bn.len(){ let mut s=0.0; for ki in (ch*kc).min(ak.len())..((ch+1)*kc).min(ak.len()){ s+=get(&c.a,ab[bi]+am[mi]+ak[ki])*get(&c.b,bb[bi]+bk[ki]+bn[ni]); }
        if self.epi.is_some(){ tile64[ni]=s; tile32[ni]=s as f32; } else {
          let o=c.out.offset+(if lead==1{ch as isize*c.out.strides[0]}else{0})+ob[bi]+om[mi]+on[ni]; let p=buf[c.out.buffer as usize];
          match c.out.dtype{DType::F32=>*(p as *mut f32).offset(o)=s as f32,DType::F64=>*(p as *mut f64).offset(o)=s,DType::BF16=>*(p as *mut half::bf16).offset(o)=half::bf16::from_f64(s),_=>*(p as *mut half::f16).offset(o)=half::f16::from_f64(s)} } }
      if let Some(e)=&self.epi { let row=bi*am.len()+mi; let first= if f64s {tile64.as_mut_ptr() as *mut u8}else{tile32.as_mut_ptr() as *mut u8};
        e.run_tile(Rectangle{row0:row,row1:row+1,col0:0,col1:bn.len()}, Product{first,row_bytes:0}, buf, scratch, faults); }
    }}}
  }}
}
