//! (a stand-in)
#![allow(missing_docs)]
use crate::compile::kernel::*; use crate::tensor::DType;
use super::{fault::FaultCell, region::{Scratch, CompiledRegion, Product, Rectangle}};
pub struct CompiledContract { f:Option<Fast>, c: Contract, epi: Option<CompiledRegion> }
fn offs(sizes:&[usize], strides:&[isize])->Vec<isize>{ let mut v=vec![0isize]; for (s,t) in sizes.iter().zip(strides){ let mut w=Vec::new(); for b in &v { for i in 0..*s { w.push(b+i as isize*t);} } v=w;} v }
fn merge(sizes:&[usize], strides:&[isize])->Option<(usize,isize)>{ let mut n=1usize; let mut st=0isize; let mut first=true; for i in (0..sizes.len()).rev(){ if first {st=strides[i]; n=sizes[i]; first=false;} else { if strides[i]!=st*n as isize {return None} n*=sizes[i]; } } Some((n,st)) }
struct Fast{m:usize,n:usize,k:usize,mt:usize,nt:usize,am:isize,ak:isize,bk:isize,bn:isize,om:isize,on:isize,ab:Vec<isize>,bb:Vec<isize>,ob:Vec<isize>,dt:DType}
impl CompiledContract {
  fn fast(c:&Contract)->Option<Fast>{ if c.k_chunks>1 || !matches!(c.a.dtype,DType::F32|DType::F64) {return None}
    let (nb,nm,nn,nk)=(c.batch.len(),c.m.len(),c.n.len(),c.k.len());
    let (m,am)=merge(&c.m,&c.a.strides[nb..nb+nm])?; let (k,ak)=merge(&c.k,&c.a.strides[nb+nm..])?; let (_,bk)=merge(&c.k,&c.b.strides[nb..nb+nk])?; let (n,bn)=merge(&c.n,&c.b.strides[nb+nk..])?;
    let (om,on)= if c.epilogue.is_some(){(0,1)} else {(merge(&c.m,&c.out.strides[nb..nb+nm])?.1, merge(&c.n,&c.out.strides[nb+nm..nb+nm+nn])?.1)};
    let ab=offs(&c.batch,&c.a.strides[..nb]); let (mt,nt)=super::tiling::tile_shape(&super::tiling::Product{m,n,k,batch:ab.len(),a_transposed:ak!=1,b_transposed:bn!=1});
    Some(Fast{m,n,k,mt,nt,am,ak,bk,bn,om,on,bb:offs(&c.batch,&c.b.strides[..nb]),ob:offs(&c.batch,&c.out.strides[..nb]),ab,dt:c.a.dtype}) }
  unsafe fn run_fast(&self,f:&Fast,u:usize,buf:&[*mut u8],scratch:&mut Scratch,faults:&FaultCell){ unsafe{ let c=&self.c; let (tm,tn)=(f.m.div_ceil(f.mt),f.n.div_ceil(f.nt)); let b=u/(tm*tn); let (i,j)=(u%(tm*tn)/tn,u%tn);
    let (r0,c0)=(i*f.mt,j*f.nt); let (r1,c1)=((r0+f.mt).min(f.m),(c0+f.nt).min(f.n)); let (mm,nn)=(r1-r0,c1-c0);
    macro_rules! go{($t:ty)=>{{ let a=(buf[c.a.buffer as usize] as *const $t).offset(c.a.offset+f.ab[b]+r0 as isize*f.am); let bb=(buf[c.b.buffer as usize] as *const $t).offset(c.b.offset+f.bb[b]+c0 as isize*f.bn);
      if let Some(e)=&self.epi { let mut tile=vec![0 as $t; mm*nn]; gemm::gemm(mm,nn,f.k,tile.as_mut_ptr(),1,nn as isize,false,a,f.ak,f.am,bb,f.bn,f.bk,0 as $t,1 as $t,false,false,false,gemm::Parallelism::None);
        let base=b*f.m; e.run_tile(Rectangle{row0:base+r0,row1:base+r1,col0:c0,col1:c1},Product{first:tile.as_mut_ptr() as *mut u8,row_bytes:(nn*size_of::<$t>()) as isize},buf,scratch,faults); }
      else { let o=(buf[c.out.buffer as usize] as *mut $t).offset(c.out.offset+f.ob[b]+r0 as isize*f.om+c0 as isize*f.on); gemm::gemm(mm,nn,f.k,o,f.on,f.om,false,a,f.ak,f.am,bb,f.bn,f.bk,0 as $t,1 as $t,false,false,false,gemm::Parallelism::None); } }}}
    if f.dt==DType::F32 {go!(f32)} else {go!(f64)} }}
  pub fn new(c:&Contract)->Self{ CompiledContract{f:Self::fast(c),c:c.clone(), epi:c.epilogue.as_ref().map(CompiledRegion::epilogue)} }
  pub fn units(&self)->usize{ match &self.f{Some(f)=>f.ab.len()*f.m.div_ceil(f.mt)*f.n.div_ceil(f.nt),None=>1} } pub fn cost(&self)->f64{ match &self.f{Some(f)=>f.ab.len() as f64*f.m as f64*f.n as f64*f.k as f64*2.0/150.0,None=>1e6} }
  pub unsafe fn run(&self,_u:usize,buf:&[*mut u8],scratch:&mut Scratch,faults:&FaultCell){ unsafe{ if let Some(f)=&self.f { return self.run_fast(f,_u,buf,scratch,faults) }
    let c=&self.c; let (nb,nm,_nn)=(c.batch.len(),c.m.len(),c.n.len()); let lead=(c.k_chunks>1) as usize;
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
